"""The steps that create, update and delete what a resource of the catalog needs."""
