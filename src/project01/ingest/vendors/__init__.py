"""One module per vendor with `SPEC`, `connect(connection)` and `stand_in(...)`; its helpers carry its name."""
