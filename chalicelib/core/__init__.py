"""Pure decisions: functions of values, with time, ids and randomness passed in. Knows no AWS."""
