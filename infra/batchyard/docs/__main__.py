"""`python -m batchyard.docs` writes everything that is generated; `make docs` calls it."""

from batchyard.docs import event_schemas, pages


def main() -> None:
    """Write the generated blocks of all pages, and the schemas of the published events."""
    pages.main()
    event_schemas.main()


if __name__ == "__main__":
    main()
