"""What joins cjasync to other libraries, each module behind an extra of its name."""
