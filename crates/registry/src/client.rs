//! The client of the distribution protocol.
mod error;
mod settings;

pub use error::{Answer, Error, Kind, Result};
pub use settings::{Access, Credentials, Insecure, InvalidSetting, Mirror, Proxies, Settings};
