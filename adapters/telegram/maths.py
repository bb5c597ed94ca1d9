"""LaTeX as LLMs write it into their answers, made readable. What has no sign of its own stays as it was written."""

from __future__ import annotations

import re

_SIGNS = dict(
    re.findall(
        r"(\w+)=(\S+)",
        "alpha=α beta=β gamma=γ delta=δ epsilon=ε varepsilon=ε zeta=ζ eta=η theta=θ iota=ι kappa=κ lambda=λ mu=μ nu=ν "
        "xi=ξ pi=π rho=ρ sigma=σ tau=τ upsilon=υ phi=φ varphi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ "
        "Xi=Ξ Pi=Π Sigma=Σ Phi=Φ Psi=Ψ Omega=Ω times=× cdot=· div=÷ pm=± mp=∓ ast=∗ circ=∘ le=≤ leq=≤ ge=≥ geq=≥ ne=≠ "
        "neq=≠ approx=≈ equiv=≡ sim=∼ propto=∝ ll=≪ gg=≫ in=∈ notin=∉ subset=⊂ subseteq=⊆ supset=⊃ cup=∪ cap=∩ "
        "emptyset=∅ forall=∀ exists=∃ neg=¬ lnot=¬ land=∧ wedge=∧ lor=∨ vee=∨ oplus=⊕ otimes=⊗ to=→ rightarrow=→ "
        "leftarrow=← Rightarrow=⇒ Leftarrow=⇐ implies=⇒ iff=⇔ leftrightarrow=↔ mapsto=↦ infty=∞ partial=∂ nabla=∇ "
        "sum=∑ prod=∏ int=∫ sqrt=√ ldots=… cdots=⋯ dots=… ell=ℓ hbar=ℏ langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋ lceil=⌈ "
        "rceil=⌉ perp=⊥ parallel=∥ angle=∠ mid=| bmod=mod",
    )
)
_SUPER = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
_SUB = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")
_NAMES = re.compile(r"\\([A-Za-z]+)")
_RAISED = re.compile(r"\^(?:\{([0-9n+-]+)\}|([0-9n])(?!\w))")
_LOWERED = re.compile(r"_(?:\{([0-9+-]+)\}|([0-9])(?!\w))")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}")
_SIZE = re.compile(r"\\(?:left|right)(?=[()\[\]|])")

_NOTATION = re.compile(r"[\\^_{}]")
_WORD = re.compile(r"[A-Za-z]{3,}")
_SYMBOL = re.compile(r"(?<!\w)[A-Za-z](?!\w)|[=<>]")


def is_maths(text: str) -> bool:
    """Whether what stands between two dollar signs is a formula, rather than prose between two prices."""
    return bool(_NOTATION.search(text) or (_SYMBOL.search(text) and not _WORD.search(text)))


def readable(tex: str) -> str:
    r"""`x^2 \le \frac{a}{b}` → `x² ≤ a/b`."""
    tex = "\n".join(line for line in (line.strip() for line in tex.splitlines()) if line)
    tex = _FRACTION.sub(lambda match: f"{_operand(match[1])}/{_operand(match[2])}", _SIZE.sub("", tex))
    tex = _NAMES.sub(lambda match: _SIGNS.get(match[1], match[0]), tex)
    tex = _RAISED.sub(lambda match: (match[1] or match[2]).translate(_SUPER), tex)
    return _LOWERED.sub(lambda match: (match[1] or match[2]).translate(_SUB), tex)


def _operand(text: str) -> str:
    text = text.strip()
    return text if re.fullmatch(r"\\?\w+", text) else f"({text})"
