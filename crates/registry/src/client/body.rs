//! Bodies of answers, never longer than they may be, and never slower.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

use super::error::{Error, Result};
use super::transport;

/// The whole body, if it is not longer than `most`.
pub(super) async fn whole(mut response: Response, most: u64) -> Result<Bytes> {
    let too_long = || Error::lied(format!("the answer is longer than {most} bytes"));
    if response
        .content_length()
        .is_some_and(|length| length > most)
    {
        return Err(too_long());
    }
    let mut pacer = transport::pacer(&response)?;
    let mut gathered = BytesMut::new();
    while let Some(chunk) = pacer
        .wait(response.chunk())
        .await?
        .map_err(transport::failed)?
    {
        pacer.came(chunk.len());
        if (gathered.len() + chunk.len()) as u64 > most {
            return Err(too_long());
        }
        gathered.extend_from_slice(&chunk);
    }
    Ok(gathered.freeze())
}
