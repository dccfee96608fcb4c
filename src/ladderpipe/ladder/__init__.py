"""What a ladder is: rules, guards, the table of transitions, its checks, its written form."""
