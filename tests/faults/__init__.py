"""Real faults: killed processes, a crashed server, cut connections, full disks, wrong clocks.

Each is made with the real thing, and the history is checked when it is over; ``checking.py`` says
what must hold. ``docs/reliability.md`` tells what was survived.
"""
