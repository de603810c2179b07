"""Reports: `markdown` writes the tables of all benchmarks; `page` writes those of studies, with figures."""
