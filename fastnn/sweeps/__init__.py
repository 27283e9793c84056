"""Many networks over the same data; see `fastnn.sweep`."""
