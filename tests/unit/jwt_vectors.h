/* jwt_vectors.h - RFC 7515 A.1 to A.3, RFC 7638 3.1; the same keys as PEM, and tokens by PyJWT 2.6. */
#pragma once
#define RFC_RSA                                                                                              \
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4"        \
    "qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-b"        \
    "Sf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT"        \
    "6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQ"        \
    "AB\",\"d\":\"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-"        \
    "7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439"        \
    "X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_j"        \
    "Tj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ\",\"p\":\"4BzEEOtIpmVdVE"        \
    "ZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2K"        \
    "KDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc\",\"q\":\"uQPEfgmVtjL0Uyyx88GZFF"        \
    "1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-"        \
    "njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc\",\"dp\":\"BwKfV3Akq5_MFZDFZCnW-wzl-CCo8"        \
    "3WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cp"        \
    "dTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0\",\"dq\":\"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZ"        \
    "jeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM"        \
    "5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU\",\"qi\":\"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyV"        \
    "uuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawB"        \
    "gfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U\"}"
#define RFC_EC                                                                                               \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"         \
    "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E"       \
    "9LI\"}"
#define RFC_RS256                                                                                            \
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS"        \
    "9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-"        \
    "0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLI"        \
    "ARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv"        \
    "Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RFC_ES256                                                                                            \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS"        \
    "9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJ"        \
    "qPP3-Kg6NU1Q"
#define RFC_HS256                                                                                            \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dH"        \
    "A6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define RFC_SECRET                                                                                           \
    "0323354b2b0fa5bc837e0665777ba68f5ab328e6f054c928a90f84b2d2502ebfd3fb5a92d20647ef968ab4c377623d2"        \
    "23d2e2172052e4f08c0cd9af567d080a3"
#define RFC_THUMB_KEY                                                                                        \
    "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndr"        \
    "QmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W"        \
    "-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz"        \
    "u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF"        \
    "44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\"}"
#define PY_RS256                                                                                             \
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJxdWF5IiwiYXVkIjpbImEiLCJiIl0sImV"        \
    "4cCI6NDEwMjQ0NDgwMCwibmJmIjoxLjUsImlhdCI6MTAwMC4wLCJqdGkiOiJuIn0.FgIyicar-NffatDjnTI2nf5RmmF19t"        \
    "Mj1uUZjBjm7jgvC19e4I0mPh2aYWp9HclGP3m1yWXuWkclecZY0307UnhB4M_LRKYO7iMRn_rV0FA_wDLK5XSC8Su39zJSf"        \
    "WX7vPbDl5J7QwGgDD96L_FC7gngUcEFEWTUT1Jwk6EEGdl0tadAvyrgnKtajiBhNVtClC3f0EBCSyuxeyJq561zn3YT7Omv"        \
    "To5y1S3FmhANHm-DkSQS77hpZ3B650FMUaxt5zmTX-KSpyGEjF1B1po0O2zDTxiQeB8gAbyuiEwrTN_w4CaRgxbczPM_6xe"        \
    "E0VrqrZKRuVHLA6RFTDeWk8GnXQ"
#define PY_PS256                                                                                             \
    "eyJhbGciOiJQUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJxdWF5IiwiYXVkIjpbImEiLCJiIl0sImV"        \
    "4cCI6NDEwMjQ0NDgwMCwibmJmIjoxLjUsImlhdCI6MTAwMC4wLCJqdGkiOiJuIn0.EPOdggxWTpAuZfapVELlj_SMeP0mzS"        \
    "i_K1ZVvAi_mAMBCWv4vpUBJtpSExvTkE3-qnn0QPYkiIE7w9ab6byn1terecNtnBM3mu4wsja-rSt_m1dpsHc98uSV0LWR5"        \
    "m_mehKrqu0jjQacV7SoMuRzQSuHdxKYpllTSlkBFc5pd0TUu2CG1ipf59XvE-l3bTYHxLCySGZQi-tjvYDAYRI93m5Mb1Vf"        \
    "kzs9LgrAU6F3Ypl7EHoXYiRIrKgwnUwMZZX9CB9Yv1pzKW2kizuZyJqF_wVzcn84cLB6S7NqTlNYZoSEfse7pwlV2TRBNLH"        \
    "-rF4OxJL5ncQtl_jlEPE-ZuPzjg"
#define PY_RS512                                                                                             \
    "eyJhbGciOiJSUzUxMiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJxdWF5IiwiYXVkIjpbImEiLCJiIl0sImV"        \
    "4cCI6NDEwMjQ0NDgwMCwibmJmIjoxLjUsImlhdCI6MTAwMC4wLCJqdGkiOiJuIn0.fwyr4qzQx46lJLfKGz0fOj7Cch_fUA"        \
    "6ZziBf66yPl3UXWZH6zK9bbGw53U_pYLlw1aMGAt038fMv4MjCtgVb3rZWgri3Ido6301QJWUOf2lDCHvDr9WbOM31I_td4"        \
    "7ZoKua0NAr41L7TRSi1eNBh_ZpQcDzKe_JjZHxLSgeTlRAIz2EW_CbvJt0HuoEP5sRFXGXu5x8Q_F1AZYmeTwzy7qH_0_w_"        \
    "BDrMGfnKR5j3BloWS_2RLl8-xxfmQmvcWlZmKI-dD5kgrkkoVIgyJYbyM6pE2LMqt5YNP_eJmrc3YkqXd6CjwtTdTkGDZEh"        \
    "o3u6EOZ0rvXIWnYzwmaD-B1hg0w"
#define PY_ES256                                                                                             \
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJxdWF5IiwiYXVkIjpbImEiLCJiIl0sImV"        \
    "4cCI6NDEwMjQ0NDgwMCwibmJmIjoxLjUsImlhdCI6MTAwMC4wLCJqdGkiOiJuIn0.qlKyx1b-6b_ddUsy3rCswkQ7Pp1BPn"        \
    "io0gD0qWRmjtSM_N99DYItEaprEGAAkiYfBDozd0OB9CK18CU_McHgoQ"
#define PEM_PKCS8                                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                          \
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCh+BYK4uPJtGXO\n"                                     \
    "jS1lYmM2K5J9vinh8CR3/BYlzJChNuOL2TSXxbbqY913EeZ8dCn5VrD7io8ImtxL\n"                                     \
    "aYk8wTM/U+3QGbh3hCUv7JFP5IV3aVlL6kKA0ywPVb9ilE8TA5a8bpvfbr3SvaNn\n"                                     \
    "juygxmj3AbONv/s4yDQs4v5tJ/reSlpIdJed1LnPmt7Ex1sFhSwsD174pcF1A5L5\n"                                     \
    "ROjtZMEQxrZHYJqkeDrrnGya11UxMFBji4NmXG9veoKjlnAqH2QbgtPr8jkiGUkf\n"                                     \
    "toaHLFcW9Qr4NY2ai50Xw0Byj3+H2JoY2PyrZ62EWQwuz3WTOTY8BwNNb2BvniHg\n"                                     \
    "VFbK5emhAgMBAAECggEAEq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyW\n"                                     \
    "PEAeP88vLNO97IjlA7/GQ5sLKMgvfTeXZx9SE+7YwVol2NXOoAJe46sui395IW/G\n"                                     \
    "O+pWJ1O0BkTGoVEn2bKVRUCgu+GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\n"                                     \
    "kn439X0M/V51gfpRLI9JYanrC4D4qAdGcopV/0ZHHzQlBjudU2QvXt4ehNYTCBr6\n"                                     \
    "XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl/x/jTj3ccPDVZFD9pIuhLhBOneufuBiB\n"                                     \
    "4cS98l2SR/RQyGWSeWjnczT0QU91p1DhOVRuOopznQKBgQDgHMQQ60imZV1URk0K\n"                                     \
    "pLttoLhyt3SmqdEf/kgHePDdtzEafpAu+cS191R2JiuoF2yzWXnwFDcqGigp5BNr\n"                                     \
    "0AHQfD8/Lk8l1Mk09jxxCfui5nYooNyac8YFjm3vItzVCVDnEd3BbVWG8qf6deqE\n"                                     \
    "lMGAg+C2V0L4oNXnP7LZcPAZRwKBgQC5A8R+CZW2MvRTLLHzwZkUXV866cff7tx6\n"                                     \
    "kqa0finGG0KgeqlaZPxgCZnFp7AeAcCMtiynVlJ7vMVgePsLq6XtON4tB5kP9jAP\n"                                     \
    "rq3rbAOal78eUH5OcED6eNuCV8ixEu1eWcPNCS/l1OW1EnXUEoEHKl54Xrrz2uNw\n"                                     \
    "kgMTP1FZ1wKBgAcCn1dwJKufzBWQxWQp1vsM5fggqPN1qGb5y0MAk3g7/Ls5bkUp\n"                                     \
    "5u9SN0Ai3Ya6hNnvWJMb7sXQX6U/zyO2M/hTip7tUeh7CXgwo59dkpN75gJLVds2\n"                                     \
    "9+DAncu3KXU4f2Fa+7bLNrur53k8KwPOq2bbuTG69QtV7Jr5MR0AHWKNAoGBAIf/\n"                                     \
    "evpitUf+4JYbLpvNXWcY052Mpz22aR84mY3nh3F2LF2mjMJDpTg7FmuyPcVw6EcG\n"                                     \
    "yoAe9fa65iNqCq+jdw6PVNGo2hxfjSiZ8IIzHdsPXI89//pMjZcQK9r+CCoRjaZj\n"                                     \
    "OYiIDktVWZzmevJuv6WywUqd57LE3Zar3dLSIkx1AoGAIYd7DHOhrWvxkwPQsRM2\n"                                     \
    "tOgrjbcrfvtQJipd+DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd/QJQ3\n"                                     \
    "ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp/gh6A56\n"                                     \
    "03k2+ZQwVK0JKSHuLFkuQ3U=\n"                                                                             \
    "-----END PRIVATE KEY-----\n"
#define PEM_PKCS1                                                                                            \
    "-----BEGIN RSA PRIVATE KEY-----\n"                                                                      \
    "MIIEowIBAAKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0\n"                                     \
    "l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pC\n"                                     \
    "gNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSX\n"                                     \
    "ndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD\n"                                     \
    "Zlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8\n"                                     \
    "q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQABAoIBABKucaRpzQorw35S\n"                                     \
    "bEUAVx8dYXUdZOlJcHtiWQ+dC6V8ljxAHj/PLyzTveyI5QO/xkObCyjIL303l2cf\n"                                     \
    "UhPu2MFaJdjVzqACXuOrLot/eSFvxjvqVidTtAZExqFRJ9mylUVAoLvhowVWmC1O\n"                                     \
    "n95fZCXxTUtxNEG1Xcc7m0rtzJKs45J+N/V9DP1edYH6USyPSWGp6wuA+KgHRnKK\n"                                     \
    "Vf9GRx80JQY7nVNkL17eHoTWEwga+lwi0FEoW9Y7lDtWXYmKBWhUE+U8PGxlJf8f\n"                                     \
    "40493HDw1WRQ/aSLoS4QTp3rn7gYgeHEvfJdkkf0UMhlknlo53M09EFPdadQ4TlU\n"                                     \
    "bjqKc50CgYEA4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH/5IB3jw3bcxGn6QLvnE\n"                                     \
    "tfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw/Py5PJdTJNPY8cQn7ouZ2KKDcmnPG\n"                                     \
    "BY5t7yLc1QlQ5xHdwW1VhvKn+nXqhJTBgIPgtldC+KDV5z+y2XDwGUcCgYEAuQPE\n"                                     \
    "fgmVtjL0Uyyx88GZFF1fOunH3+7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYs\n"                                     \
    "p1ZSe7zFYHj7C6ul7TjeLQeZD/YwD66t62wDmpe/HlB+TnBA+njbglfIsRLtXlnD\n"                                     \
    "zQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdcCgYAHAp9XcCSrn8wVkMVkKdb7\n"                                     \
    "DOX4IKjzdahm+ctDAJN4O/y7OW5FKebvUjdAIt2GuoTZ71iTG+7F0F+lP88jtjP4\n"                                     \
    "U4qe7VHoewl4MKOfXZKTe+YCS1XbNvfgwJ3Ltyl1OH9hWvu2yza7q+d5PCsDzqtm\n"                                     \
    "27kxuvULVeya+TEdAB1ijQKBgQCH/3r6YrVH/uCWGy6bzV1nGNOdjKc9tmkfOJmN\n"                                     \
    "54dxdixdpozCQ6U4OxZrsj3FcOhHBsqAHvX2uuYjagqvo3cOj1TRqNocX40omfCC\n"                                     \
    "Mx3bD1yPPf/6TI2XECva/ggqEY2mYzmIiA5LVVmc5nrybr+lssFKneeyxN2Wq93S\n"                                     \
    "0iJMdQKBgCGHewxzoa1r8ZMD0LETNrToK423K377UCYqXfg5XMclbrjPbEC3YI1Z\n"                                     \
    "NqMtuhdBJqUnBi6tjKMF+34Xf0CUN8ncuXGO2CAYvO8PdyCixHX52ybaDjy1FtCE\n"                                     \
    "6yUXjoKNXKvUm7MWGsAYH6f4IegOetN5NvmUMFStCSkh7ixZLkN1\n"                                                 \
    "-----END RSA PRIVATE KEY-----\n"
#define PEM_EC                                                                                               \
    "-----BEGIN EC PRIVATE KEY-----\n"                                                                       \
    "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"                                     \
    "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"                                     \
    "focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"                                                                 \
    "-----END EC PRIVATE KEY-----\n"
#define PEM_EC8                                                                                              \
    "-----BEGIN PRIVATE KEY-----\n"                                                                          \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"                                     \
    "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"                                     \
    "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"                                             \
    "-----END PRIVATE KEY-----\n"
#define PEM_PUBLIC                                                                                           \
    "-----BEGIN PUBLIC KEY-----\n"                                                                           \
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAofgWCuLjybRlzo0tZWJj\n"                                     \
    "NiuSfb4p4fAkd/wWJcyQoTbji9k0l8W26mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEz\n"                                     \
    "P1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMsD1W/YpRPEwOWvG6b32690r2jZ47soMZo\n"                                     \
    "9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTB\n"                                     \
    "EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxX\n"                                     \
    "FvUK+DWNmoudF8NAco9/h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXp\n"                                     \
    "oQIDAQAB\n"                                                                                             \
    "-----END PUBLIC KEY-----\n"
#define PEM_PUBLIC1                                                                                          \
    "-----BEGIN RSA PUBLIC KEY-----\n"                                                                       \
    "MIIBCgKCAQEAofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd/wWJcyQoTbji9k0l8W2\n"                                     \
    "6mPddxHmfHQp+Vaw+4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL+yRT+SFd2lZS+pCgNMs\n"                                     \
    "D1W/YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb/7OMg0LOL+bSf63kpaSHSXndS5\n"                                     \
    "z5rexMdbBYUsLA9e+KXBdQOS+UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxv\n"                                     \
    "b3qCo5ZwKh9kG4LT6/I5IhlJH7aGhyxXFvUK+DWNmoudF8NAco9/h9iaGNj8q2et\n"                                     \
    "hFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQIDAQAB\n"                                                             \
    "-----END RSA PUBLIC KEY-----\n"
#define PEM_CERT                                                                                             \
    "-----BEGIN CERTIFICATE-----\n"                                                                          \
    "MIIClzCCAX+gAwIBAgIBBzANBgkqhkiG9w0BAQsFADAPMQ0wCwYDVQQDDARxdWF5\n"                                     \
    "MB4XDTIwMDEwMTAwMDAwMFoXDTQwMDEwMTAwMDAwMFowDzENMAsGA1UEAwwEcXVh\n"                                     \
    "eTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAKH4Fgri48m0Zc6NLWVi\n"                                     \
    "YzYrkn2+KeHwJHf8FiXMkKE244vZNJfFtupj3XcR5nx0KflWsPuKjwia3EtpiTzB\n"                                     \
    "Mz9T7dAZuHeEJS/skU/khXdpWUvqQoDTLA9Vv2KUTxMDlrxum99uvdK9o2eO7KDG\n"                                     \
    "aPcBs42/+zjINCzi/m0n+t5KWkh0l53Uuc+a3sTHWwWFLCwPXvilwXUDkvlE6O1k\n"                                     \
    "wRDGtkdgmqR4OuucbJrXVTEwUGOLg2Zcb296gqOWcCofZBuC0+vyOSIZSR+2hocs\n"                                     \
    "Vxb1Cvg1jZqLnRfDQHKPf4fYmhjY/KtnrYRZDC7PdZM5NjwHA01vYG+eIeBUVsrl\n"                                     \
    "6aECAwEAATANBgkqhkiG9w0BAQsFAAOCAQEAKDK8FLpgc5ha0ptZZRaDZ9gSPo8y\n"                                     \
    "HF8qcAw9qNLKi5OPAKIfIffjpF4MVxR3YDsdOl/tXTAM//5Xwf8qd37PpDzw1s5E\n"                                     \
    "m/iqm51IO/v0QDzwi13Z3xp8Gb7dFpoIclC2g34qdhlNbqnhhIAmg4IBcve7tjDB\n"                                     \
    "t5QTQHXYWWIrmwevZD9ZkDzZQje4mga/Gmx6H5PWBC0WuezzJ0sDbZlVN3UdHz6g\n"                                     \
    "Cg6g28wx53g8wPJbBxGJxlIRqN4PCF/ZgFBOcs3q01CTdxrrtdVeqLxK90IlAzcE\n"                                     \
    "RclqX/HotD2fI1QRUCJ0QY177IOGntovBTpMG2fyOGlbTpAvAQJilZbekQ==\n"                                         \
    "-----END CERTIFICATE-----\n"
#define PEM_EC_PUBLIC                                                                                        \
    "-----BEGIN PUBLIC KEY-----\n"                                                                           \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"                                     \
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"                                         \
    "-----END PUBLIC KEY-----\n"
#define PEM_ENCRYPTED                                                                                        \
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                                                                \
    "MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQInXbSeW9MliQCAggA\n"                                     \
    "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBC68SEdROe4GMuitAfD8MUKBIIE\n"                                     \
    "0FaYpKcIjQEb12dwHyTtenJukBqNxoZy7vyqZwSJz7pYybPjpE4+CcFvUDrxDE7G\n"                                     \
    "2ZWu69z352r96wnMBi3XhStz9og5iwur955wJYrEpe1WcGX7K0lk9XS88PoUcl9H\n"                                     \
    "gvWsKZ82xNW6iiomPqIyDgsQFuSh/OCIE7PrrEAhPgecvM6oKqi5M4ZLXNPg7RMc\n"                                     \
    "/b+k6J8azQrWwKHP5aqgFJnH1lXHiL0uPlAXCkwRW2Ur0rK0M9HXtjD0gA/9jNVH\n"                                     \
    "kT69YpDdWJqIShRvPmZkDTV+pJonRnDw+Zvqmz9ByTIfKaKYP2kdN5G/ITjONYMv\n"                                     \
    "jYAWAo0T1rr/7PLPYDB9bb+Mr5f5cBd7kBLccWJpBvxnDZ1BPOC0RMjv1yhtAPSf\n"                                     \
    "HS0omcQ9WD3CnDjiSMwAb8ToMciiUeD6X34uXAYlc6+pxzQYIEt8OIOtL41F4yZn\n"                                     \
    "PwM+OTGGftEK0n0oc8zBeX9R1OqedYBRvOervQXqhwJuVj2brxx/XwCHzOzqpEtN\n"                                     \
    "eTqdq3rbAUnh+664cB6JZDsjoeP3u3UX99BF/O2vNSp+HKxv5wV85aY9JsNh0F2h\n"                                     \
    "O72FT+uKRpWM0qXu6boGM2roCHw3OZlddqknxWr4kcHAhTLkFCVGyowFof5PXqt1\n"                                     \
    "a6sgpPp+Or+E+jZq+3dQHW9ORQLOFqci1xkpx9BRggG1bCxHOoVZnRRD0jjoA/wM\n"                                     \
    "eXDT4LtjFioZh1j2EmSelMocoetSk/BX2FUHV0WF9cDzs5JWzFeZonEEZvyLGMDI\n"                                     \
    "MFpmJQ52V6V4P2Ks/+qoS6sE3weCVtvqBpLpT5nJKN4i7IHRfpXFsMMRdYV5HBLC\n"                                     \
    "/0rxRNC3RvaP9KRspV7nGpbcqmIIomPu1ht1O0cosHq7mx4AhnWaZ1iDP0e9+4lO\n"                                     \
    "rN4oN1+0k/falFZQZF1gE1bdY8ri3Vfa6wneQjjd5NDbXVIj6YpQX4SJzTZ915Vl\n"                                     \
    "rIze0E0zyMGTk+ngD47ZB+jrBYyXn2sbppnWPQMnDqIy1K4O5Xvh+dcDhrP/dOhV\n"                                     \
    "NGjjIE4ttBVGKElMe8Q0y6mWAgQKT4aPZS6+c4JCclKholVMn0dY30sNBcKEkZrv\n"                                     \
    "U03T1aWtTmJ0tEFMy5axBjj9kgVJK/QySpCukqv4agSO5L4gpnzNomtdqm/LuW+6\n"                                     \
    "YtbAjyJ1EHnzT0VmcYDO44XjEXUuBie9NRC+HjjG9LdPMG0uG4MCxGZKFDzdgnWt\n"                                     \
    "Ug8VS4IhopUO1WMF9PolhH3A0obPEuPP0Q2sVqt3+3e2Dz8aOxJYqlB9Ps9r7je1\n"                                     \
    "JlGP7r6+FjWYdUiUJ/NLPbMUhuc1gi4C4gAxwi9WTczhareQT4nMUhV1P6h9co9i\n"                                     \
    "HoU5kww3E4WRluG68XKhS1PdfTPMXCjFRbBYQxfC7z49vLCx+UJFBA7wTK2GpW7k\n"                                     \
    "RnkkDPSkOUKeUYB8nzcBrj8skIVuLNpukAsbH/Ra8923g4GVAeftJ4r2Cm0VPB2Q\n"                                     \
    "Xp7GV+M3bCmfv0UGP3qJT2husGdffTj7fXPRaIYJKFwFm6C+sWc5iQ+rcOSV7IEv\n"                                     \
    "PKJkHue6RFVIsZAme+QMx7dRRJ1UHGHP+Dsu1A0r8Ydjse+dYzgLIxFqJwYCjnz7\n"                                     \
    "a06Srs0syHnovm6qHJJJAkeadk2K4DA07nevKKnbcIJG\n"                                                         \
    "-----END ENCRYPTED PRIVATE KEY-----\n"
#define PEM_ENCRYPTED1                                                                                       \
    "-----BEGIN RSA PRIVATE KEY-----\n"                                                                      \
    "Proc-Type: 4,ENCRYPTED\n"                                                                               \
    "DEK-Info: AES-256-CBC,B0277850D4A5F0E9D7D8E2C2620287CC\n"                                               \
    "\n"                                                                                                     \
    "6CsBAvry4W7vxTh7CcaXiFL6zKk+3Wd1pH/HSxUyilSaFH5HejusxCMr0WxIr+fw\n"                                     \
    "g9cbf0MArnO+6wA/7OP+4iIT7BORxBvmxSdb77hDVHUayNuoIG5LGHNwBaS8pcV8\n"                                     \
    "vUQvh19Ad79cD2+5YWK7Mc2IFZOUEuoDO1XuDcamEajomU/KwDbJjbtMq/ggS3By\n"                                     \
    "JkQp6q09CUyHk85uWg1Jeijd59YxbZRMwrCq2FvNOjAFPBaGI65mWzJDIrm1CZsK\n"                                     \
    "+JboR8FkJuaz1ClvvwRKHINqcq6Xg9eGq7Zxac4pC0Jrp6lcFjOsYVWjGoeHR6v2\n"                                     \
    "SpCH5Frvh056S3EaQO1QKDmYFS8bdrP9xMMGCxafr6Sbubhydg2vCQYKVEqo0xWW\n"                                     \
    "t3ELI9hST8Tjnz6JZt9vV8Sg7ZdeEK9qR0ohT7ixST+qC/KZ+Y1XQt0zArD7NSYH\n"                                     \
    "F1n1nRWnglph7sCMGFJ5H7AwinUVAB/zzHqQZpSzz6hnX3nNT3KIzPMYb9cJetTj\n"                                     \
    "evPp9upoo5DL81Vb4fsk3pYUGePJqjOWv12rGlckTKBVqk46ZKjt5YeOlBoBJkSi\n"                                     \
    "793Ut7SRiQAJq9rTjOoM43OQO+q2MgF7a5nEB1CZhmpse5ZBZytEVY88H0CpfiqB\n"                                     \
    "B3UIkzHEolIn7DyTwxlBLJHJauHCTuviAL9TZcdjsUNHW4xv69OP24Qn7X9BM5kj\n"                                     \
    "R94eFHFsPSi5ivsdtdAI/WBsUNsWNoyN88tsHpO/v7BTHEy6M5OZpolEk/BxXyvU\n"                                     \
    "hlaCkBncthHt+k7gkL9jhi4UgR921wJqySNr2ZZo2h5ghbKGC/qSmOXVh9gkg6yd\n"                                     \
    "eT/kCfluIfCk92jwWxAeuKgFdOWE7o/s9DBWk2RWBATbwZtphCPvxH2oCKlB49pj\n"                                     \
    "otASmbo1yf+yS6haPcBeufN6lqlFp0L8t4NckOh8y7RIgeWOIP1D3j9kEhfjpvfN\n"                                     \
    "2d4XCvAFohSmf/bKXW1KuJRCBN2S/cNKyaGz8LGRUXDiIaWWYJersM6bjxf49CBb\n"                                     \
    "sTGeAOMEPm35KqD16jVE/VjNuOrzpjINxNNrAbpg+OcmO2x+XDW27G2DZ7A6L9UV\n"                                     \
    "rZmz6LRj5/bOPixvkzEUG3Uzl7eKMOQj37FA5lvxgLfO+ahr6lGJMKjmfx27vLui\n"                                     \
    "JH6qqjZIE0ZgG3WBQPfIkp4vSqzVp1poCeE5d469g17F6MyoE+T0ImJ3Uv2bIXgu\n"                                     \
    "il87X067V8fDW7SpXOL/CHZmzul2qKhxZRTVetxhVUjVJyrL8ewMLH9Tge5/qbct\n"                                     \
    "HG88doo75AdKd+cn7tj4bSzOYRj60Lzb3xaJPPPVeksSvhNtwUm+esO3PAFfOdKb\n"                                     \
    "qs1IIZCIbyVjOD4S0i6yfNHDt6xMkPs61SB7qBahHLKP5+aUn9QXxjW1uiBuz1rd\n"                                     \
    "E9bhvEo8p1HZSi2uhEhLHtONDBJq5zbmizu5zXuEqB9XBrRCNMilmgVJO6VFxbgZ\n"                                     \
    "cRzQVuHUGXTTi8IdAtCmP4+hWZmOBmuzvWyULwbf/tg85yGOe6tZRD8jP02cqAaA\n"                                     \
    "IJV89KTg18RXOSpBy9Y0kLki1bHDFv+bcMhf1EZydX0bBu7u1qkGt9RB/ATK5QvN\n"                                     \
    "-----END RSA PRIVATE KEY-----\n"
#define PEM_P384                                                                                             \
    "-----BEGIN PRIVATE KEY-----\n"                                                                          \
    "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCHk3dmPmxWV7SLrghH\n"                                     \
    "nVjtgieuK5O2tQg+VbcJ0oLdit8gpU7XwXPYJWoz0orShpyhZANiAATOxDEx9Ylu\n"                                     \
    "H+CUEX5DZRsCEi6WHNK23A1s5U29bKt8ZgbSrCGadQP4opfr7eFXlEdtHZHH289q\n"                                     \
    "VmhjcDo+gGH7DhtFeL6B24zSYz51JvbLRxTqkgfEmzcHB9YhWqcwfOU=\n"                                             \
    "-----END PRIVATE KEY-----\n"
#define PEM_SMALL                                                                                            \
    "-----BEGIN PRIVATE KEY-----\n"                                                                          \
    "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBALV+EF+dGU4DmlNx\n"                                     \
    "8tZcJRFVBagsRYoshZ9CCdLjxOVukzDvzPrrBHGFSBGPqIBrqw34WxxlXXC2Brex\n"                                     \
    "A+RBVGYPewV63D0ICODXrEhCVRDESlhd3P3lfl5Vc8DykMtwNlBCA8Rx9o7Nroyh\n"                                     \
    "WwsOfgiRXwxUdSz+4h54dQ40qBa1AgMBAAECgYAJ7Nr4X58CpS/LYG/nSSK9z+h/\n"                                     \
    "SeyDoeusye+/mLUr1uA1zOdo0XFsw90tGK4eV8UC/pH8+44gm9PCN+v+j5QN6Tc9\n"                                     \
    "+f3520FluYzSZcRKpwC4UqFYiB84rKn5aM/xOhcHhb1hhFQlquj1p2o/kv/QMoWf\n"                                     \
    "VF2gxLmxvFqYfuEAAQJBANkdPw0eZHpyoBE520RH5vJedS+ZdhrWXZrBsxcWBwls\n"                                     \
    "psE9GGq7IWRlISTG/5+IFva8J4FyI+iwi19/VlEN2vUCQQDV/4wOB9tSf1Nr+rcX\n"                                     \
    "2/2Vrjin2+BCGjtPE+fxqzFmMrCXSHB6QZIM0DyaTLAzk24COHnTOqs0Ta88poPI\n"                                     \
    "o3TBAkEAlczqDgEkTp/79Sa4NPpvTFcD/92gcY/qcban/IvEOypuO/INgMawmXZ1\n"                                     \
    "UczD3qylO4RCtbutLwVwhGl1guNOaQJATV48tn3kr2jVMj7Mn1Wr0sfQN+/onj15\n"                                     \
    "n9dkjh0EmRxOeAN6ltjKAtPudSKwuZTduvPMJ7AYYaqMZnMVRh7CgQJBALdqllql\n"                                     \
    "9+VxfB60JPBbj4cmYpbcd3OnIxeWZREeBtkiQj2Z3LL53ZkWMItVL1yIsMcH6m14\n"                                     \
    "VMHXrXFnhg8yv7s=\n"                                                                                     \
    "-----END PRIVATE KEY-----\n"
