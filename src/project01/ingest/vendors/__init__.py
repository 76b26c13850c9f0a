"""One module per vendor with `SPEC` and `connect(connection)`; its helpers carry its name."""
