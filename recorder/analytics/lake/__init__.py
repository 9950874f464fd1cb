"""A lake: the segments of many machines as Parquet in an object store, for engines that read such. LAKE.md says
how it is laid out."""
