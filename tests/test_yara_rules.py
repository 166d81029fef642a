"""Every rule of ours finds what it is for, none fires on what stands beside it, and all compile without a warning."""

from pathlib import Path

import pytest
import yara_x
from yara_family_samples import FAMILY_NEGATIVE, FAMILY_POSITIVE
from yara_samples import NEGATIVE, POSITIVE, elf, upx

from volforensic.inventory.scanner import RuleSet, compile_rules, rule_metadata
from volforensic.record import SEVERITIES

RULES = Path(__file__).parent.parent / "artifacts" / "yara"
SOURCES = {path.name: path.read_bytes() for path in sorted(RULES.glob("*.yar"))}
METADATA = {rule: meta for rule, meta in rule_metadata(SOURCES).items() if rule != "names_signatures"}
"""Of the rules that may match: a private rule is only part of others."""
SAMPLES = POSITIVE | FAMILY_POSITIVE
BESIDE = NEGATIVE | FAMILY_NEGATIVE


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    compiled, errors = compile_rules(SOURCES)
    assert errors == []
    return compiled


def names(rules: RuleSet, data: bytes) -> set[str]:
    return {match.rule for match in rules.scan(data)}


def loud(rules: RuleSet, data: bytes) -> set[str]:
    return {name for name in names(rules, data) if METADATA[name]["severity"] not in {"low", "info"}}


def test_every_rule_has_a_sample_and_every_sample_a_rule() -> None:
    assert len(METADATA) > 130
    assert set(SAMPLES) == set(METADATA)
    assert not set(POSITIVE) & set(FAMILY_POSITIVE)


@pytest.mark.parametrize(
    ("rule", "sample"), [(rule, sample) for rule, samples in SAMPLES.items() for sample in samples], ids=str
)
def test_a_rule_matches_its_sample(rules: RuleSet, rule: str, sample: bytes) -> None:
    assert rule in names(rules, sample)


@pytest.mark.parametrize("what", BESIDE)
def test_nothing_above_low_matches_what_stands_beside(rules: RuleSet, what: str) -> None:
    assert loud(rules, BESIDE[what]) == set()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_rule_file_compiles_without_a_warning_or_a_slow_pattern(name: str) -> None:
    compiler = yara_x.Compiler(error_on_slow_pattern=True, includes_enabled=False)
    compiler.add_source(SOURCES[name].decode())
    assert compiler.warnings() == []


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_rule_file_on_the_disk_is_not_malware(rules: RuleSet, name: str) -> None:
    assert names(rules, SOURCES[name]) == set()


@pytest.mark.parametrize("rule", FAMILY_POSITIVE)
def test_a_sample_that_is_only_quoted_is_not_matched(rules: RuleSet, rule: str) -> None:
    for sample in FAMILY_POSITIVE[rule]:
        text = sample[sample[:2] in {b"\x7fE", b"#!", b"\xca\xfe", b"RE", b"GI"} and 2 :]
        quoted = b"rule quoted {\n  strings:\n    $a = '" + b" " * 1100 + text + b"'\n  condition:\n    $a\n}\n"
        assert rule not in names(rules, quoted)


@pytest.mark.parametrize("rule", METADATA)
def test_a_rule_says_what_a_finding_needs(rule: str) -> None:
    metadata = METADATA[rule]
    assert metadata["author"] == "volforensic"
    assert metadata["severity"] in SEVERITIES
    assert metadata["confidence"] in {"high", "medium", "low"}
    assert metadata["description"]
    assert metadata["family"]
    assert metadata["reference"].startswith("https://")
    identifiers = metadata["attack"].split(", ")
    assert all(identifier[0] == "T" and identifier[1:5].isdigit() for identifier in identifiers)


def test_metadata_is_what_the_compiled_rules_hold() -> None:
    compiler = yara_x.Compiler()
    for name, source in SOURCES.items():
        compiler.new_namespace(name)
        compiler.add_source(source.decode())
    built = compiler.build()
    for samples in SAMPLES.values():
        for rule in built.scan(samples[0]).matching_rules:
            assert METADATA[rule.identifier] == dict(rule.metadata)


@pytest.mark.parametrize(
    "word", ["XMRig", "stratum+tcp://", "donate-level", "mining.subscribe", "cryptonight/1", "xmrig", "kinsing"]
)
def test_one_word_in_a_program_is_never_critical(rules: RuleSet, word: str) -> None:
    assert not [name for name in names(rules, elf(word)) if METADATA[name]["severity"] == "critical"]


def test_packed_programs_are_told_from_those_with_an_altered_magic(rules: RuleSet) -> None:
    assert names(rules, upx(b"UPX!")) == {"upx_packed_elf"}
    assert names(rules, upx(b"ABC!")) == {"upx_packed_elf_altered"}
    assert METADATA["upx_packed_elf"]["severity"] == "medium"
