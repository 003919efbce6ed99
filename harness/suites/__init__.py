"""Other projects' test suites, run against this one: Strawberry's and graphql-core's."""
