# Short names for what one types all day; everything real is in `cargo xtask`.

default:
    @just --list

# What CI runs.
ci:
    .ci/run

# Unit, crate and end-to-end tests, all or those whose names hold the words.
test *words:
    cargo xtask test {{words}}

# The end-to-end tests against the real Docker, to prove the tests right.
oracle host="unix:///var/run/docker.sock" *words="":
    cargo xtask test --oracle {{host}} {{words}}

# Format, lint, hold the design.
check:
    cargo fmt
    cargo clippy --workspace --all-targets -- -D warnings
    cargo xtask tidy

# Both files as they are shipped.
dist:
    cargo xtask dist

bench *args:
    cargo xtask bench {{args}}

# One fuzz target for a minute: just fuzz image_archive
fuzz target seconds="60":
    cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} -- -max_total_time={{seconds}}
