"""What kugetsu decides: values, rules and orchestration. Knows no SDK, no SQL, no HTTP."""
