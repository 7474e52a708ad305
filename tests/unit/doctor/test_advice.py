"""What could spoil a measurement is told, and nothing is told of what is well."""

from __future__ import annotations

import pytest
from unit.doctor.findings import GIB, floor, library, machine, simd

from cbir_bench.doctor.advice import advice


def test_nothing_is_advised_where_all_is_well():
    """Advice that is always there is not read."""
    assert advice(machine(), [library()], [floor()]) == []


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        ({"load_average": [5.0, 1.0, 1.0]}, "load is 5 on 8 cores"),
        ({"cpu_waiting": 0.3}, "30% of the last 10 seconds"),
        ({"cpu_stolen": 0.05}, "5.0% of the CPU time"),
        ({"governor": "powersave"}, "cpupower frequency-set -g performance"),
        ({"n_allowed_cores": 1}, "Only one core"),
        ({"cpu_limit_cores": 2.5}, "2.5 CPU seconds in a second on 8 cores"),
        ({"n_numa_nodes": 2}, "numactl"),
        ({"memory_limit_bytes": 2 * GIB}, "2.0 GiB of memory"),
        ({"memory_available_bytes": GIB}, "1.0 GiB of memory"),
        ({"disk": {"cache": {"folder": "/c", "free_bytes": GIB}}}, "--cache"),
        ({"features": {"clear_refs": False}}, "no clear_refs"),
    ],
)
def test_what_spoils_a_measurement_is_told_alone(spoiled, words):
    """One cause, one piece of advice, with its number and what to do."""
    actual = advice(machine(**spoiled), [], [])

    assert len(actual) == 1
    assert words in actual[0]


def test_what_the_system_does_not_tell_is_no_trouble():
    """Elsewhere than on Linux most of it is None."""
    names = ("load_average", "cpu_waiting", "cpu_stolen", "governor", "n_allowed_cores")
    more = ("n_numa_nodes", "memory_limit_bytes", "memory_available_bytes", "cpu_limit_cores")

    actual = advice(machine(**dict.fromkeys((*names, *more))), [], [])

    assert actual == []


def test_a_library_without_wide_instructions_comes_with_the_build_that_has_them():
    """nmslib's wheel searches 1.4 times slower than its build from source."""
    plain = library(
        name="nmslib",
        origin="prebuilt (manylinux2014_x86_64)",
        simd=simd(unused=("avx", "fma")),
        command="pip install --no-binary nmslib nmslib",
    )

    actual = advice(machine(), [plain], [])

    assert len(actual) == 1
    assert "avx, fma lie idle" in actual[0]
    assert actual[0].endswith("Run: pip install --no-binary nmslib nmslib")


def test_a_library_that_uses_most_is_left_alone():
    """A kernel for AVX2 on a processor with AVX-512 is a choice."""
    assert advice(machine(), [library(simd=simd("avx", "fma", unused=("avx512f",)))], []) == []


def test_code_for_a_larger_processor_is_told_of_only_where_it_was_compiled_for_one():
    """Wheels for many machines choose while they run; what was compiled on another machine crashes."""
    beyond = simd("avx", "avx512f", beyond=("avx512f",))

    here = advice(machine(), [library(simd=beyond)], [])
    elsewhere = advice(
        machine(), [library(simd=beyond, origin="prebuilt (manylinux_2_28_x86_64)")], []
    )

    assert "may crash" in here[0]
    assert elsewhere == []


def test_a_noisy_machine_is_told_of():
    """A difference of 4 % cannot be seen where equal work differs by 12 %."""
    (actual,) = advice(machine(), [], [floor(wall=12.0, cpu=1.0)])

    assert "12.0 %" in actual
    assert "Compare CPU times" in actual


def test_cpu_times_are_no_way_out_where_they_are_as_noisy():
    """Neighbours on the same core slow the work itself down, not only the wait for it."""
    (actual,) = advice(machine(), [], [floor(wall=12.0, cpu=11.0)])

    assert "Measure in 9 pairs, which show 4.0 %" in actual
