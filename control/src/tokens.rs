//! Tokens that stand for an account: access tokens that people make, and login tokens that a login gives.

mod access;
mod login;

#[cfg(test)]
mod tests;

pub use access::{AccessToken, AccessTokens};
pub use login::LoginTokens;
