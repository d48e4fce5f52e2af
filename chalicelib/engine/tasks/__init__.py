"""ECS tasks: launching, stopping, and what ECS reports about them."""
