//! The proxy: a request goes to an upstream as it came, and its answer comes back as it is.
