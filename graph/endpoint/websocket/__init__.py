"""GraphQL over WebSocket, by the protocol graphql-transport-ws."""
