"""Words that say how much, or not, or nothing: what is the same whatever a model can change."""

from __future__ import annotations

from draggan_widget.directions.vocabulary import stem

DEGREES = {
    **dict.fromkeys(("a little bit", "a bit", "a little", "a tad", "a touch", "a hint", "hint", "bit", "little"), 0.5),
    **dict.fromkeys(("slightly", "slight", "somewhat", "faint", "faintly", "subtle", "subtly", "mildly"), 0.5),
    **dict.fromkeys(("a tiny bit", "barely", "hardly", "minimally"), 0.25),
    **dict.fromkeys(("rather", "quite", "fairly", "moderately", "pretty", "nearly", "almost"), 1.0),
    **dict.fromkeys(("a lot", "lots", "much", "very", "really", "strongly", "considerably", "way", "so much"), 2.0),
    **dict.fromkeys(("far", "significantly", "substantially", "clearly", "heavily", "very much", "a great deal"), 2.0),
    **dict.fromkeys(("extremely", "extraordinarily", "incredibly", "hugely", "as much as possible", "totally"), 3.0),
    **dict.fromkeys(("completely", "fully", "entirely"), 2.0),
}
"""What a word of degree multiplies an amount by."""
GONE = ("no", "without", "remove", "get rid of", "take away", "take off", "delete", "lose", "zero", "no more", "erase")
"""What takes a thing away: twice as much as to have less of it."""
NOT = (
    "not",
    "don't",
    "doesn't",
    "isn't",
    "aren't",
    "never",
    "less",
    "fewer",
    "stop",
    "no longer",
    "non",
    "reduce",
    "n't",
    "too",
)
"""What turns a word into its opposite; of "too" it is what somebody complains of."""
AFTER = ("gone", "removed", "off", "reduced")
"""The same, behind what it is about: "beard gone"."""
DECREASE = ("decrease", "lessen", "diminish", "weaken", "tone down")
MORE = ("more", "increase", "add", "stronger", "extra", "most", "strengthen")
_FILLERS = """
a all also an and any appear appearing appears are around as at be become becomes becoming been being bit both bring
but by can change color colored colour coloured could direction do does down each even face for from get gets getting
give gives giving go going grow grows had hand has have having he head her here hers him his how i image in into is it
its just keep kind kindly less let lets like little look looked looking looks made make makes making maybe me more
most moving my nor now of on one ones only or our people person photo picture place please portrait position put puts
render same seem seems set shape shaped she should show showing side so some sort still style such than thank thanks
that the their them then there these they thing this those to toned too toward towards turn turning type up viewer
want wants was way we wear wearing wears what which while who with would you your
"""
FILLERS = frozenset(_FILLERS.split())
"""Words that ask for nothing by themselves."""
COURTESY = frozenset({"please", "thanks", "thank", "kindly"})
"""Words that never ask for anything."""
PERSONS = frozenset(
    map(stem, ("man", "woman", "girl", "boy", "lady", "guy", "person", "male", "female", "kid", "child"))
)
"""Who is meant, and not what is asked for, in "make the woman older"."""
POINTING = frozenset({"the", "this", "that", "our", "my", "your", "his", "her"})
PRONOUNS = frozenset({"it", "them", "they", "its", "one", "ones"})
"""What stands for a noun of the clause before."""
