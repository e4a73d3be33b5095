"""The checks, by theme: small functions `(Bench) -> str | None`, which `lib_optim.selftest.rows` lists."""
