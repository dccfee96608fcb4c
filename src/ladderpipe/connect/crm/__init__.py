"""A board and a CRM kept in step: what a CRM is asked for, the map of stages, the ledger, the sync.

Each CRM is a module of ``ladderpipe.connect`` that implements ``Crm``.
"""
