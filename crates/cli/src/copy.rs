//! What `cp` does to paths and archives: Docker's rules for where a copy lands, packing local files, unpacking into a local folder.

pub(crate) mod pack;
pub(crate) mod paths;
pub(crate) mod pipes;
pub(crate) mod unpack;

#[cfg(test)]
mod tests;
