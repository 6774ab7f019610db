//! The body of every answer that is not a success.

use super::wire::wire;

wire! {
    /// `{"message": "..."}`, with any status from 400 up.
    pub struct ErrorResponse {
        /// What went wrong, in words meant for the user.
        #[serde(rename = "message")]
        pub message: String,
    }
}
