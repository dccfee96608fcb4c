"""The nouns: stage, event, deal, move, visit, history, effect, money, clock."""
