"""Many runs at once: the study of `benchmarks.control`, its small networks side by side in batched products."""
