//! A queue in this process's memory, for tests and benches.

/// A queue that ends with its last handle.
#[derive(Debug, Default)]
pub struct MemoryQueue {}
impl MemoryQueue {
    /// An empty queue.
    pub fn new() -> Self { Self::default() }
}
