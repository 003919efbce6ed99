"""The engines below the product: the SQL database, SQLite, the embedded Valkey, and the migrations."""
