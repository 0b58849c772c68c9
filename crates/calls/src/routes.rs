//! Whose request it is. Pure.
