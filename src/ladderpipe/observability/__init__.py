"""What a board lets its operators know."""
