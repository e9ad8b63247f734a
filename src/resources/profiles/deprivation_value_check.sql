SELECT '/rank' AS pointer, 'constraint' AS code, 'a rank is at most the number of areas' AS detail FROM new WHERE new.rank > new.areas
UNION ALL
SELECT '/score', 'required', 'a value has a score, a rank or a decile' FROM new WHERE num_nonnulls(new.score, new.rank, new.decile) = 0
