"""The folder that holds everything, written once, and its custody log."""
