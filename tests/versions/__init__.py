"""An earlier version of the functions beside the present one."""
