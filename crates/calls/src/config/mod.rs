//! What the calls plane is told: the structs are the manual.
