//! load, save, tag, rmi, history, inspect, images, prune; and archives that mean harm.

mod addresses;
mod archives;
mod hostile;
mod names;
mod platforms;
