"""For the tests of those who use cjasync: pytest fixtures over the sandbox, and a clock that tests can turn."""
