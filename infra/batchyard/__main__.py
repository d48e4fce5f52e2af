"""`python -m batchyard`: the command line where no console script is installed."""

from batchyard.cli.main import app

if __name__ == "__main__":
    app(prog_name="batchyard")
