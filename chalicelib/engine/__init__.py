"""What happens by itself after a row has changed, ECS has reported or a minute has passed."""
