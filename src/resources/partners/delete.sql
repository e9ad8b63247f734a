SELECT '' AS pointer, 'host' AS code, 'the partner that runs the installation cannot be deleted' AS detail FROM cur WHERE cur.host
