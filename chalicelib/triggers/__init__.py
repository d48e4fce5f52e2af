"""What submits jobs when something happens: schedules, events, uploads."""
