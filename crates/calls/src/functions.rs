//! Functions: their contracts, their handlers, and how they are called.
