"""GraphQL over HTTP: single answers, batches, server-sent events and multipart; and the page for people."""
