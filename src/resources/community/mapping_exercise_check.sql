SELECT '/held_on' AS pointer, 'required' AS code, 'an exercise that was held says when' AS detail FROM new WHERE new.status = 'held' AND new.held_on IS NULL
