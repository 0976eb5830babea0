"""The works that the group page cites, by the key of the step that follows them."""

from collections.abc import Mapping

from bids_harmonize.report.group_blocks import Reference

REFERENCES: Mapping[str, Reference] = {
    "template": Reference(
        "Fonov V, et al. Unbiased average age-appropriate atlases for pediatric studies. "
        "NeuroImage 2011.",
        "10.1016/j.neuroimage.2010.07.033",
    ),
    "n4": Reference(
        "Tustison NJ, et al. N4ITK: improved N3 bias correction. IEEE Trans Med Imaging 2010.",
        "10.1109/TMI.2010.2046908",
    ),
    "nyul": Reference(
        "Nyul LG, Udupa JK, Zhang X. New variants of a method of MRI scale standardization. "
        "IEEE Trans Med Imaging 2000.",
        "10.1109/42.836373",
    ),
    "cyclegan": Reference(
        "Zhu JY, et al. Unpaired image-to-image translation using cycle-consistent adversarial "
        "networks. ICCV 2017.",
        "10.1109/ICCV.2017.244",
    ),
    "hdrnet": Reference(
        "Gharbi M, et al. Deep bilateral learning for real-time image enhancement. ACM Trans "
        "Graph 2017.",
        "10.1145/3072959.3073592",
    ),
    "ssim": Reference(
        "Wang Z, et al. Image quality assessment: from error visibility to structural "
        "similarity. IEEE Trans Image Process 2004.",
        "10.1109/TIP.2003.819861",
    ),
    "holm": Reference(
        "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979."
    ),
    "lesions": Reference(
        "Cohen JP, Luck M, Honari S. Distribution matching losses can hallucinate features in "
        "medical image translation. MICCAI 2018.",
        "10.1007/978-3-030-00928-1_60",
    ),
    "bids": Reference(
        "Gorgolewski KJ, et al. The brain imaging data structure. Sci Data 2016.",
        "10.1038/sdata.2016.44",
    ),
    "hedges": Reference(
        "Hedges LV. Distribution theory for Glass's estimator of effect size and related "
        "estimators. J Educ Stat 1981.",
        "10.3102/10769986006002107",
    ),
    "fdr": Reference(
        "Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995.",
        "10.1111/j.2517-6161.1995.tb02031.x",
    ),
    "tfce": Reference(
        "Smith SM, Nichols TE. Threshold-free cluster enhancement. NeuroImage 2009.",
        "10.1016/j.neuroimage.2008.03.061",
    ),
    "freedman_lane": Reference(
        "Freedman D, Lane D. A nonstochastic interpretation of reported significance levels. J "
        "Bus Econ Stat 1983.",
        "10.1080/07350015.1983.10509354",
    ),
    "combat": Reference(
        "Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data "
        "using empirical Bayes methods. Biostatistics 2007.",
        "10.1093/biostatistics/kxj037",
    ),
    "combat_mri": Reference(
        "Fortin JP, et al. Harmonization of cortical thickness measurements across scanners and "
        "sites. NeuroImage 2018.",
        "10.1016/j.neuroimage.2017.11.024",
    ),
    "paule_mandel": Reference(
        "Paule RC, Mandel J. Consensus values and weighting factors. J Res Natl Bur Stand 1982.",
        "10.6028/jres.087.022",
    ),
    "hartung_knapp": Reference(
        "Hartung J, Knapp G. On tests of the overall treatment effect in meta-analysis with "
        "normally distributed responses. Stat Med 2001.",
        "10.1002/sim.791",
    ),
    "delong": Reference(
        "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more "
        "correlated receiver operating characteristic curves. Biometrics 1988.",
        "10.2307/2531595",
    ),
    "one_cluster": Reference(
        "Liu Y, Hayes DN, Nobel A, Marron JS. Statistical significance of clustering for "
        "high-dimension, low-sample size data. J Am Stat Assoc 2008.",
        "10.1198/016214508000000454",
    ),
    "biotypes": Reference(
        "Dinga R, et al. Evaluating the evidence for biotypes of depression: methodological "
        "replication and extension of Drysdale et al. (2017). NeuroImage Clin 2019.",
        "10.1016/j.nicl.2019.101796",
    ),
    "dip": Reference(
        "Hartigan JA, Hartigan PM. The dip test of unimodality. Ann Stat 1985.",
        "10.1214/aos/1176346577",
    ),
    "rand": Reference(
        "Hubert L, Arabie P. Comparing partitions. J Classif 1985.", "10.1007/BF01908075"
    ),
    "cramers_v": Reference(
        "Bergsma W. A bias-correction for Cramér's V and Tschuprow's T. J Korean Stat Soc 2013.",
        "10.1016/j.jkss.2012.10.002",
    ),
    "hydra": Reference(
        "Varol E, Sotiras A, Davatzikos C. HYDRA: revealing heterogeneity of imaging and genetic "
        "patterns through a multiple max-margin discriminative analysis framework. NeuroImage "
        "2017.",
        "10.1016/j.neuroimage.2016.02.041",
    ),
    "som": Reference(
        "Sugihara G, et al. Distinct patterns of cerebral cortical thinning in schizophrenia: a "
        "neuroimaging data-driven approach. Schizophr Bull 2017.",
        "10.1093/schbul/sbw176",
    ),
}
