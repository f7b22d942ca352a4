"""The text of INFO: every field that Redis 7.4 tells, in its order, and a section of our own about storage.

A field that has a meaning here tells the truth; one that has none is 0 or what an idle Redis says, and never absent:
programs read them by name.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from server.latency import percentile_us
from server.pubsub import Kind
from server.registry import every
from server.scripting.runtime import interpreters_bytes
from server.version import version

if TYPE_CHECKING:
    from server.instance import Instance

Fields = list[tuple[str, object]]
#: For each database number: keys, keys that expire, mean time until they do in milliseconds.
Counts = Mapping[int, tuple[int, int, int]]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def text(instance: Instance, wanted: set[str], counts: Counts) -> bytes:
    """The sections that are wanted, by their names in lower case."""
    parts = [
        f"# {title}\r\n" + "".join([f"{name}:{value}\r\n" for name, value in fields(instance, counts)])
        for title, fields in _SECTIONS.items()
        if title.lower() in wanted
    ]
    return "\r\n".join(parts).encode("utf-8", "surrogateescape")


def sections(names: list[bytes]) -> set[str]:
    """The sections that INFO's arguments ask for; unknown names ask for nothing."""
    wanted: set[str] = set()
    for name in names or [b"default"]:
        word = name.decode("ascii", "replace").lower()
        if word in ("all", "everything"):
            wanted |= {title.lower() for title in _SECTIONS}
        elif word == "default":
            wanted |= _DEFAULT
        else:
            wanted.add(word)
    return wanted


def _server(instance: Instance, counts: Counts) -> Fields:
    settings, system = instance.settings, platform.uname()
    now = time.time()
    uptime = int(now - instance.started_at)
    listeners = []
    if settings.port:
        addresses = "".join(f",bind={address}" for address in settings.bind)
        listeners.append(f"name=tcp{addresses},port={settings.port}")
    if settings.unixsocket:
        listeners.append(f"name=unix,bind={settings.unixsocket}")
    return [
        ("redis_version", instance.redis_version),
        ("redis_git_sha1", "00000000"),
        ("redis_git_dirty", 0),
        ("redis_build_id", "0000000000000000"),
        ("redis_mode", "standalone"),
        ("os", f"{system.system} {system.release} {system.machine}"),
        ("arch_bits", 64 if sys.maxsize > 2**32 else 32),
        ("monotonic_clock", "POSIX clock_gettime"),
        ("multiplexing_api", type(instance.loop).__module__.partition(".")[0]),
        ("atomicvar_api", "none"),
        ("gcc_version", "0.0.0"),
        ("process_id", os.getpid()),
        ("process_supervised", "no"),
        ("run_id", instance.run_id),
        ("tcp_port", settings.port),
        ("server_time_usec", int(now * 1_000_000)),
        ("uptime_in_seconds", uptime),
        ("uptime_in_days", uptime // 86400),
        ("hz", settings.text("hz")),
        ("configured_hz", settings.text("hz")),
        ("lru_clock", int(now) & 0xFFFFFF),
        ("executable", sys.argv[0] if os.path.isabs(sys.argv[0]) else os.path.abspath(sys.argv[0])),
        ("config_file", settings.config_path or ""),
        ("io_threads_active", 0),
        *((f"listener{number}", listener) for number, listener in enumerate(listeners)),
        ("rowdis_version", version()),
        ("python_version", platform.python_version()),
    ]


def _clients(instance: Instance, counts: Counts) -> Fields:
    clients = list(instance.clients.values())
    watching = [len(client.session.watched) for client in clients if client.session.watched]
    return [
        ("connected_clients", len(clients)),
        ("cluster_connections", 0),
        ("maxclients", instance.settings.maxclients),
        ("client_recent_max_input_buffer", 0),
        ("client_recent_max_output_buffer", 0),
        ("blocked_clients", len(instance.waiters)),
        ("tracking_clients", instance.tracking.clients),
        ("pubsub_clients", instance.pubsub.clients),
        ("watching_clients", len(watching)),
        ("clients_in_timeout_table", 0),
        ("total_watched_keys", sum(watching)),
        ("total_blocking_keys", instance.waiters.keys),
        ("total_blocking_keys_on_nokey", 0),
    ]


def _memory(instance: Instance, counts: Counts) -> Fields:
    used, peak = resident_bytes(), peak_bytes()
    total = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    # One interpreter for each worker that has met a script runs functions too.
    lua = interpreters_bytes()
    scripts, script_bytes = map(sum, zip(instance.scripts.usage(), instance.loaded_scripts.usage(), strict=True))
    return [
        ("used_memory", used),
        ("used_memory_human", _human(used)),
        ("used_memory_rss", used),
        ("used_memory_rss_human", _human(used)),
        ("used_memory_peak", peak),
        ("used_memory_peak_human", _human(peak)),
        ("used_memory_peak_perc", f"{used * 100 / peak:.2f}%"),
        ("used_memory_overhead", used),
        ("used_memory_startup", 0),
        ("used_memory_dataset", 0),
        ("used_memory_dataset_perc", "0.00%"),
        ("allocator_allocated", used),
        ("allocator_active", used),
        ("allocator_resident", used),
        ("allocator_muzzy", 0),
        ("total_system_memory", total),
        ("total_system_memory_human", _human(total)),
        ("used_memory_lua", lua),
        ("used_memory_vm_eval", lua),
        ("used_memory_lua_human", _human(lua)),
        ("used_memory_scripts_eval", script_bytes),
        ("number_of_cached_scripts", scripts),
        ("number_of_functions", instance.functions_known[1]),
        ("number_of_libraries", instance.functions_known[0]),
        ("used_memory_vm_functions", 0),
        ("used_memory_vm_total", lua),
        ("used_memory_vm_total_human", _human(lua)),
        ("used_memory_functions", 0),
        ("used_memory_scripts", script_bytes),
        ("used_memory_scripts_human", _human(script_bytes)),
        ("maxmemory", instance.settings.text("maxmemory")),
        ("maxmemory_human", _human(int(instance.settings.text("maxmemory")))),
        ("maxmemory_policy", instance.settings.text("maxmemory-policy")),
        ("allocator_frag_ratio", "1.00"),
        ("allocator_frag_bytes", 0),
        ("allocator_rss_ratio", "1.00"),
        ("allocator_rss_bytes", 0),
        ("rss_overhead_ratio", "1.00"),
        ("rss_overhead_bytes", 0),
        ("mem_fragmentation_ratio", "1.00"),
        ("mem_fragmentation_bytes", 0),
        ("mem_not_counted_for_evict", 0),
        ("mem_replication_backlog", 0),
        ("mem_total_replication_buffers", 0),
        ("mem_clients_slaves", 0),
        ("mem_clients_normal", 0),
        ("mem_cluster_links", 0),
        ("mem_aof_buffer", 0),
        ("mem_allocator", "python"),
        ("mem_overhead_db_hashtable_rehashing", 0),
        ("active_defrag_running", 0),
        ("lazyfree_pending_objects", 0),
        ("lazyfreed_objects", instance.storage.housekeeper.counters.reaped),
    ]


def _persistence(instance: Instance, counts: Counts) -> Fields:
    return [
        ("loading", 0),
        ("async_loading", 0),
        ("current_cow_peak", 0),
        ("current_cow_size", 0),
        ("current_cow_size_age", 0),
        ("current_fork_perc", "0.00"),
        ("current_save_keys_processed", 0),
        ("current_save_keys_total", 0),
        ("rdb_changes_since_last_save", 0),
        ("rdb_bgsave_in_progress", 0),
        # Every acknowledged write is in a committed transaction: the last save is now.
        ("rdb_last_save_time", instance.storage.clock.now_us() // 1_000_000),
        ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", 0),
        ("rdb_current_bgsave_time_sec", -1),
        ("rdb_saves", 0),
        ("rdb_last_cow_size", 0),
        ("rdb_last_load_keys_expired", 0),
        ("rdb_last_load_keys_loaded", 0),
        ("aof_enabled", int(instance.settings.text("appendonly") == "yes")),
        ("aof_rewrite_in_progress", 0),
        ("aof_rewrite_scheduled", 0),
        ("aof_last_rewrite_time_sec", -1),
        ("aof_current_rewrite_time_sec", -1),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_rewrites", 0),
        ("aof_rewrites_consecutive_failures", 0),
        ("aof_last_write_status", "ok"),
        ("aof_last_cow_size", 0),
        ("module_fork_in_progress", 0),
        ("module_fork_last_cow_size", 0),
        ("aof_current_size", 0),
        ("aof_base_size", 0),
        ("aof_pending_rewrite", 0),
        ("aof_buffer_length", 0),
        ("aof_pending_bio_fsync", 0),
        ("aof_delayed_fsync", 0),
    ]


def _stats(instance: Instance, counts: Counts) -> Fields:
    metrics = instance.metrics
    commands, received, sent = instance.totals()
    return [
        ("total_connections_received", metrics.connections_received),
        ("total_commands_processed", commands),
        ("instantaneous_ops_per_sec", metrics.commands_per_s),
        ("total_net_input_bytes", received),
        ("total_net_output_bytes", sent),
        ("total_net_repl_input_bytes", 0),
        ("total_net_repl_output_bytes", 0),
        ("instantaneous_input_kbps", f"{metrics.input_kb_per_s:.2f}"),
        ("instantaneous_output_kbps", f"{metrics.output_kb_per_s:.2f}"),
        ("instantaneous_input_repl_kbps", "0.00"),
        ("instantaneous_output_repl_kbps", "0.00"),
        ("rejected_connections", metrics.rejected_connections),
        ("sync_full", 0),
        ("sync_partial_ok", 0),
        ("sync_partial_err", 0),
        ("expired_subkeys", instance.storage.housekeeper.counters.expired_fields),
        ("expired_keys", instance.storage.housekeeper.counters.expired),
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", 0),
        ("expire_cycle_cpu_milliseconds", 0),
        ("evicted_keys", 0),
        ("evicted_clients", 0),
        ("evicted_scripts", instance.scripts.evicted),
        ("total_eviction_exceeded_time", 0),
        ("current_eviction_exceeded_time", 0),
        ("keyspace_hits", metrics.keyspace_hits),
        ("keyspace_misses", metrics.keyspace_misses),
        ("pubsub_channels", instance.pubsub.number_of_names(Kind.CHANNEL)),
        ("pubsub_patterns", instance.pubsub.number_of_names(Kind.PATTERN)),
        ("pubsubshard_channels", instance.pubsub.number_of_names(Kind.SHARD_CHANNEL)),
        ("latest_fork_usec", 0),
        ("total_forks", 0),
        ("migrate_cached_sockets", 0),
        ("slave_expires_tracked_keys", 0),
        ("active_defrag_hits", 0),
        ("active_defrag_misses", 0),
        ("active_defrag_key_hits", 0),
        ("active_defrag_key_misses", 0),
        ("total_active_defrag_time", 0),
        ("current_active_defrag_time", 0),
        ("tracking_total_keys", instance.tracking.keys),
        ("tracking_total_items", instance.tracking.items),
        ("tracking_total_prefixes", instance.tracking.prefixes),
        ("unexpected_error_replies", 0),
        ("total_error_replies", metrics.error_replies),
        ("dump_payload_sanitizations", 0),
        ("total_reads_processed", 0),
        ("total_writes_processed", 0),
        ("io_threaded_reads_processed", 0),
        ("io_threaded_writes_processed", 0),
        ("client_query_buffer_limit_disconnections", metrics.oversized_inputs),
        ("client_output_buffer_limit_disconnections", metrics.overrun_outputs),
        ("reply_buffer_shrinks", 0),
        ("reply_buffer_expands", 0),
        ("eventloop_cycles", 0),
        ("eventloop_duration_sum", 0),
        ("eventloop_duration_cmd_sum", 0),
        ("instantaneous_eventloop_cycles_per_sec", 0),
        ("instantaneous_eventloop_duration_usec", 0),
        ("acl_access_denied_auth", metrics.denied_logins),
        ("acl_access_denied_cmd", 0),
        ("acl_access_denied_key", 0),
        ("acl_access_denied_channel", 0),
    ]


def _replication(instance: Instance, counts: Counts) -> Fields:
    return [
        ("role", "master"),
        ("connected_slaves", 0),
        ("master_failover_state", "no-failover"),
        ("master_replid", instance.run_id),
        ("master_replid2", "0" * 40),
        ("master_repl_offset", 0),
        ("second_repl_offset", -1),
        ("repl_backlog_active", 0),
        ("repl_backlog_size", instance.settings.text("repl-backlog-size")),
        ("repl_backlog_first_byte_offset", 0),
        ("repl_backlog_histlen", 0),
    ]


def _cpu(instance: Instance, counts: Counts) -> Fields:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return [
        ("used_cpu_sys", f"{own.ru_stime:.6f}"),
        ("used_cpu_user", f"{own.ru_utime:.6f}"),
        ("used_cpu_sys_children", f"{children.ru_stime:.6f}"),
        ("used_cpu_user_children", f"{children.ru_utime:.6f}"),
        # Storage workers are threads of this process: only the whole of it can be told.
        ("used_cpu_sys_main_thread", f"{own.ru_stime:.6f}"),
        ("used_cpu_user_main_thread", f"{own.ru_utime:.6f}"),
    ]


def _none(instance: Instance, counts: Counts) -> Fields:
    return []


def _commandstats(instance: Instance, counts: Counts) -> Fields:
    return [
        (
            f"cmdstat_{row.full_name}",
            f"calls={row.calls},usec={int(row.usec)},usec_per_call={row.usec / (row.calls or 1):.2f},"
            f"rejected_calls={row.rejected_calls},failed_calls={row.failed_calls}",
        )
        for row in every()
        if row.calls or row.rejected_calls or row.failed_calls
    ]


def _errorstats(instance: Instance, counts: Counts) -> Fields:
    return [(f"errorstat_{code}", f"count={count}") for code, count in sorted(instance.metrics.errors.items())]


def _latencystats(instance: Instance, counts: Counts) -> Fields:
    if not instance.observation.tracking:
        return []
    percents = instance.settings.latency_tracking_info_percentiles
    return [
        (
            f"latency_percentiles_usec_{row.full_name}",
            ",".join([f"p{percent:g}={percentile_us(row.latencies, percent):.3f}" for percent in percents]),
        )
        for row in every()
        if any(row.latencies)
    ]


def _cluster(instance: Instance, counts: Counts) -> Fields:
    return [("cluster_enabled", 0)]


def _keyspace(instance: Instance, counts: Counts) -> Fields:
    return [
        (f"db{number}", f"keys={keys},expires={expires},avg_ttl={mean_ms},subexpiry=0")
        for number, (keys, expires, mean_ms) in sorted(counts.items())
        if keys
    ]


def _storage(instance: Instance, counts: Counts) -> Fields:
    storage, metrics = instance.storage, instance.metrics
    database, housekeeper = storage.database, storage.housekeeper.counters
    counters = [executor.counters for executor in storage.executors]
    dialect = database.dialect
    return [
        ("storage_engine", dialect.name if dialect is not None else "unknown"),
        ("storage_address", storage.target.display()),
        ("storage_schema_version", storage.schema_version),
        ("storage_workers", len(storage.executors)),
        ("storage_pool_in_use", database.in_use),
        ("storage_pool_idle", database.idle),
        ("storage_pending_runs", instance.batcher.pending),
        ("storage_units", sum(each.units for each in counters)),
        ("storage_writing_units", sum(each.writing_units for each in counters)),
        ("storage_average_batch", f"{metrics.batched_commands / (metrics.batches or 1):.2f}"),
        ("storage_retries", sum(each.retries for each in counters)),
        ("storage_lost_connections", sum(each.lost_connections for each in counters)),
        ("storage_commits_resolved", sum(each.commits_resolved for each in counters)),
        ("storage_expired", housekeeper.expired),
        ("storage_reaped", housekeeper.reaped),
        ("storage_housekeeping_failures", housekeeper.failures),
        ("storage_threads", threading.active_count()),
    ]


_SECTIONS: dict[str, Callable[[Instance, Counts], Fields]] = {
    "Server": _server,
    "Clients": _clients,
    "Memory": _memory,
    "Persistence": _persistence,
    "Stats": _stats,
    "Replication": _replication,
    "CPU": _cpu,
    "Modules": _none,
    "Commandstats": _commandstats,
    "Errorstats": _errorstats,
    "Latencystats": _latencystats,
    "Cluster": _cluster,
    "Keyspace": _keyspace,
    "Storage": _storage,
}
_DEFAULT = {title.lower() for title in _SECTIONS} - {"commandstats", "latencystats"}


def resident_bytes() -> int:
    """What the process has in memory."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_bytes() -> int:
    """The most that the process has had in memory."""
    return max(resident_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _human(count: int) -> str:
    """Bytes as Redis shows them to people: 988.00K."""
    if count < 1024:
        return f"{count}B"
    amount = float(count)
    for unit in "KMGTP":
        amount /= 1024
        if amount < 1024:
            return f"{amount:.2f}{unit}"
    return f"{count}B"
