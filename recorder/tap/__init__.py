"""The tap: observes the streams of an application and never changes them."""
