//! Checking the image store; an endpoint that Docker does not have.

use super::wire::wire;

wire! {
    /// Answer of `POST /system/check`.
    pub struct SystemCheck {
        /// Images that were looked at.
        pub images: u64,
        /// Layers that were looked at.
        pub layers: u64,
        /// Writable layers of containers that were looked at.
        pub snapshots: u64,
        /// Bytes of layers that were read.
        pub bytes: u64,
        /// What is wrong; empty if nothing is.
        pub problems: Vec<CheckProblem>,
        /// What `repair` did about them, or would do.
        pub repairs: Vec<CheckRepair>,
    }

    /// One thing that repairing does.
    pub struct CheckRepair {
        /// `remove image`, `remove layer`, `remove file`, `remove document`, `remove name`, `make link` or
        /// `count anew`.
        pub action: String,
        /// A digest, a name or a path.
        pub subject: String,
        /// Names that go with an image.
        pub names: Vec<String>,
        /// Whether it is done.
        pub done: bool,
        /// Why it cannot be done, and what to do instead; else empty.
        pub obstacle: String,
    }

    /// One thing that is wrong.
    pub struct CheckProblem {
        /// `damaged layer`, `missing layer`, `damaged document`, `dangling name`, `stray file`, `stray document`,
        /// `missing link` or `wrong counter`.
        pub kind: String,
        /// A digest, a name or a path.
        pub subject: String,
        /// What is wrong with it, and what became of it.
        pub detail: String,
        /// Whether it is mended.
        pub repaired: bool,
    }
}
