//! A create request into the engine's options: every field is carried over, the engine judges them.

use api::types::container::{ContainerConfig, CreateRequest, HealthConfig};
use api::types::host_config::{self, HostConfig};
use api::types::mount;
use api::types::network::{NetworkingConfig, PortMap, PortsChange};
use engine::PortChange;
use engine::options::{
    AttachedStreams, BindOptions, ContainerOptions, DeviceMapping, Echo, Healthcheck, HostOptions,
    LogOptions, MountOption, PortBinding, ResourceOptions, RestartPolicy, TmpfsOptions, Ulimit,
    VolumeOptions,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::network;
use crate::http::failure::Failure;

/// The request as the engine takes it, and its documents for `inspect` to echo.
pub(crate) fn request(
    wire: CreateRequest,
    platform: Option<String>,
) -> Result<(ContainerOptions, Echo), Failure> {
    let echo = Echo {
        config: raw(&wire.config)?,
        host_config: raw(&wire.host_config)?,
        networking: raw(&wire.networking_config)?,
    };
    Ok((
        options(
            wire.config,
            wire.host_config,
            wire.networking_config,
            platform,
        ),
        echo,
    ))
}

fn raw(document: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(document)
        .map_err(|e| Failure::internal(format!("keeping the request: {e}")))
}

fn options(
    config: ContainerConfig,
    host: HostConfig,
    net: NetworkingConfig,
    platform: Option<String>,
) -> ContainerOptions {
    ContainerOptions {
        image: config.image,
        platform,
        cmd: config.cmd.map(|list| list.0),
        entrypoint: config.entrypoint.map(|list| list.0),
        env: config.env.unwrap_or_default(),
        user: config.user,
        working_dir: config.working_dir,
        hostname: config.hostname,
        domainname: config.domainname,
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        attach: AttachedStreams {
            stdin: config.attach_stdin,
            stdout: config.attach_stdout,
            stderr: config.attach_stderr,
        },
        labels: config.labels.unwrap_or_default(),
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        exposed_ports: config.exposed_ports.into_keys().collect(),
        volumes: config.volumes.unwrap_or_default().into_keys().collect(),
        healthcheck: config.healthcheck.map(healthcheck),
        args_escaped: config.args_escaped,
        network_disabled: config.network_disabled,
        shell: (!config.shell.0.is_empty()).then_some(config.shell.0),
        on_build: config.on_build,
        mac_address: config.mac_address,
        host: host_options(host),
        networks: net
            .endpoints_config
            .unwrap_or_default()
            .into_iter()
            .map(|(name, settings)| (name, network::wish(settings.unwrap_or_default())))
            .collect(),
    }
}

fn healthcheck(wire: HealthConfig) -> Healthcheck {
    Healthcheck {
        test: wire.test,
        interval: wire.interval,
        timeout: wire.timeout,
        start_period: wire.start_period,
        start_interval: wire.start_interval,
        retries: wire.retries,
    }
}

/// A change of the ports of a container that is there.
pub(crate) fn port_change(wire: PortsChange) -> PortChange {
    PortChange {
        remove: published(wire.remove),
        add: published(wire.add),
    }
}

fn published(wire: PortMap) -> Vec<PortBinding> {
    let bindings = wire.into_iter().flat_map(|(port, bindings)| {
        let bindings = bindings.unwrap_or_default().into_iter();
        bindings.map(move |binding| PortBinding {
            port: port.clone(),
            host_ip: binding.host_ip,
            host_port: binding.host_port,
        })
    });
    bindings.collect()
}

fn host_options(mut host: HostConfig) -> HostOptions {
    HostOptions {
        binds: host.binds.take().unwrap_or_default(),
        mounts: std::mem::take(&mut host.mounts)
            .into_iter()
            .map(mount_option)
            .collect(),
        tmpfs: std::mem::take(&mut host.tmpfs),
        volumes_from: host.volumes_from.take().unwrap_or_default(),
        volume_driver: std::mem::take(&mut host.volume_driver),
        container_id_file: std::mem::take(&mut host.container_id_file),
        log: LogOptions {
            driver: std::mem::take(&mut host.log_config.r#type),
            options: host.log_config.config.take().unwrap_or_default(),
        },
        network_mode: std::mem::take(&mut host.network_mode),
        published: published(host.port_bindings.take().unwrap_or_default()),
        publish_all_ports: host.publish_all_ports,
        restart: RestartPolicy {
            name: std::mem::take(&mut host.restart_policy.name),
            maximum_retry_count: host.restart_policy.maximum_retry_count,
        },
        auto_remove: host.auto_remove,
        cap_add: host.cap_add.take().unwrap_or_default().0,
        cap_drop: host.cap_drop.take().unwrap_or_default().0,
        cgroupns_mode: std::mem::take(&mut host.cgroupns_mode),
        dns: host.dns.take().unwrap_or_default(),
        dns_options: host.dns_options.take().unwrap_or_default(),
        dns_search: host.dns_search.take().unwrap_or_default(),
        extra_hosts: host.extra_hosts.take().unwrap_or_default(),
        group_add: host.group_add.take().unwrap_or_default(),
        ipc_mode: std::mem::take(&mut host.ipc_mode),
        cgroup: std::mem::take(&mut host.cgroup),
        links: host.links.take().unwrap_or_default(),
        oom_score_adj: host.oom_score_adj,
        pid_mode: std::mem::take(&mut host.pid_mode),
        privileged: host.privileged,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: host.security_opt.take().unwrap_or_default(),
        storage_opt: std::mem::take(&mut host.storage_opt),
        uts_mode: std::mem::take(&mut host.uts_mode),
        userns_mode: std::mem::take(&mut host.userns_mode),
        shm_size: host.shm_size,
        sysctls: std::mem::take(&mut host.sysctls),
        runtime: std::mem::take(&mut host.runtime),
        console_size: (cells(host.console_size[0]), cells(host.console_size[1])),
        isolation: std::mem::take(&mut host.isolation),
        init: host.init,
        annotations: std::mem::take(&mut host.annotations),
        masked_paths: host.masked_paths.take(),
        readonly_paths: host.readonly_paths.take(),
        resources: resources(host),
    }
}

/// Rows or columns; more than a terminal can have is cut.
pub(crate) fn cells(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn resources(host: HostConfig) -> ResourceOptions {
    ResourceOptions {
        cpu_shares: host.cpu_shares,
        memory: host.memory,
        nano_cpus: host.nano_cpus,
        cgroup_parent: host.cgroup_parent,
        blkio_weight: host.blkio_weight,
        blkio_weight_device: host
            .blkio_weight_device
            .unwrap_or_default()
            .into_iter()
            .map(|d| (d.path, d.weight))
            .collect(),
        blkio_device_read_bps: throttles(host.blkio_device_read_bps),
        blkio_device_write_bps: throttles(host.blkio_device_write_bps),
        blkio_device_read_iops: throttles(host.blkio_device_read_iops),
        blkio_device_write_iops: throttles(host.blkio_device_write_iops),
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_realtime_period,
        cpu_realtime_runtime: host.cpu_realtime_runtime,
        cpuset_cpus: host.cpuset_cpus,
        cpuset_mems: host.cpuset_mems,
        devices: host
            .devices
            .unwrap_or_default()
            .into_iter()
            .map(device)
            .collect(),
        device_cgroup_rules: host.device_cgroup_rules.unwrap_or_default(),
        device_requests: host
            .device_requests
            .unwrap_or_default()
            .iter()
            .map(device_request)
            .collect(),
        kernel_memory: host.kernel_memory,
        kernel_memory_tcp: host.kernel_memory_tcp,
        memory_reservation: host.memory_reservation,
        memory_swap: host.memory_swap,
        memory_swappiness: host.memory_swappiness.filter(|percent| *percent != -1),
        oom_kill_disable: host.oom_kill_disable,
        pids_limit: host.pids_limit.filter(|limit| *limit > 0),
        ulimits: host
            .ulimits
            .unwrap_or_default()
            .into_iter()
            .map(ulimit)
            .collect(),
        cpu_count: host.cpu_count,
        cpu_percent: host.cpu_percent,
        io_maximum_iops: host.io_maximum_iops,
        io_maximum_bandwidth: host.io_maximum_bandwidth,
    }
}

fn throttles(list: Option<Vec<host_config::ThrottleDevice>>) -> Vec<(String, u64)> {
    list.unwrap_or_default()
        .into_iter()
        .map(|d| (d.path, d.rate))
        .collect()
}

fn device(wire: host_config::DeviceMapping) -> DeviceMapping {
    DeviceMapping {
        path_on_host: wire.path_on_host,
        path_in_container: wire.path_in_container,
        cgroup_permissions: wire.cgroup_permissions,
    }
}

/// What a request for devices is called when it is refused.
fn device_request(wire: &host_config::DeviceRequest) -> String {
    if wire.driver.is_empty() {
        let wanted: Vec<String> = wire
            .capabilities
            .iter()
            .flatten()
            .map(|all| all.join("+"))
            .collect();
        wanted.join(",")
    } else {
        wire.driver.clone()
    }
}

fn ulimit(wire: host_config::Ulimit) -> Ulimit {
    Ulimit {
        name: wire.name,
        soft: wire.soft,
        hard: wire.hard,
    }
}

fn mount_option(wire: mount::Mount) -> MountOption {
    MountOption {
        kind: wire.r#type,
        source: wire.source,
        target: wire.target,
        read_only: wire.read_only,
        consistency: wire.consistency,
        bind: wire.bind_options.map(|bind| BindOptions {
            propagation: bind.propagation,
            non_recursive: bind.non_recursive,
            create_mountpoint: bind.create_mountpoint,
            read_only_non_recursive: bind.read_only_non_recursive,
            read_only_force_recursive: bind.read_only_force_recursive,
        }),
        volume: wire.volume_options.map(volume_options),
        tmpfs: wire.tmpfs_options.map(|tmpfs| TmpfsOptions {
            size: tmpfs.size_bytes,
            mode: tmpfs.mode,
            options: tmpfs.options,
        }),
        has_image_options: wire.image_options.is_some(),
        has_cluster_options: false,
    }
}

fn volume_options(wire: mount::VolumeOptions) -> VolumeOptions {
    let driver = wire.driver_config.unwrap_or_default();
    VolumeOptions {
        no_copy: wire.no_copy,
        labels: wire.labels,
        subpath: wire.subpath,
        driver: driver.name,
        driver_options: driver.options,
    }
}
